"""The curves of trainings outside of a page: plots, colours, smoothing and means as the page draws them, with plotly.

Rule: the maths are those of `widgets/src`; widgets/tests/chart/chart_maths.json, checked by tests on both sides, keeps them equal.
"""
