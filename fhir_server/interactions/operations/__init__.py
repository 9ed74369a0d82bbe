"""One module per operation, named as the operation is; `refer_*`, `suggest_*` and the like are parts of the one they begin with.

`parameters`, `terminology`, `validation` and `coded` read and render what several of them take and give.
"""
