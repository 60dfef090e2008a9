"""What every place where a run can be has to hold: the same tests over each of them."""
