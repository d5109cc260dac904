"""Media of a training: what `log()` takes besides numbers, and how it is stored. Standard library only.

The values are the user's: numpy, torch, PIL, matplotlib, plotly and pandas are used only where a value is one of theirs.
"""
