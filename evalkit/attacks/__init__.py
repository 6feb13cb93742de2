"""What somebody who sees a release can work out: real attacks, for the preview and for the tests.

Each takes what is public (the design: camera dates, units, periods observed) and released arrays. None is given an
incident; how near a guess comes is measured afterwards, by whoever has the incidents: the city, or a test.
"""
