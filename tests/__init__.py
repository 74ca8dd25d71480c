"""What Tandem promises, as tests."""
