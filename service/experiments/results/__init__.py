"""What came of an experiment: from the counts of each person to figures with intervals and a verdict in words."""
