"""The frame-grid search: does a segment carry the quantiser of a codec?

A decoder's output, analysed with the codec's own transform at the codec's own frame
offset, has holes down to the rounding noise; one sample off it has none.
"""
