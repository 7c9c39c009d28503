"""Where submissions are imported."""
