"""`streamvc bench`: what this machine makes of it, side by side in one run."""
