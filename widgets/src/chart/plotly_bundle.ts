// Our own bundle of plotly.js: the traces that trainings need and no others.
// @ts-nocheck: plotly.js ships no types for its parts.

import bar from 'plotly.js/lib/bar';
import Plotly from 'plotly.js/lib/core';
import heatmap from 'plotly.js/lib/heatmap';
import histogram from 'plotly.js/lib/histogram';
import scattergl from 'plotly.js/lib/scattergl';

// `scatter` is part of the core.
Plotly.register([bar, heatmap, histogram, scattergl]);

export default Plotly;
