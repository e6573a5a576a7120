"""Record: every operation of one run of the function, in the compiler's own words."""
