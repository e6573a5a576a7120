"""Who looks on and changes nothing: the recorder of traces, and NaN mode."""
