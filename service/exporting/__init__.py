"""`craic export`: the way back of `craic import`."""
