"""The concepts: panel, study, design, statistics, estimate, and the estimator that ties them together."""
