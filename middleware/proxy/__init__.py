"""The relay process: moves bytes between clients and the one upstream. Reaches nothing above the records."""
