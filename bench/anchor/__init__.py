"""What the local anchor is worth: its ratings against authored labels, beside baselines, on a half that was sealed."""
