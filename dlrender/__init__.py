"""Draw the caches that dlscore wrote: videos and stills, at once, without a GPU or torch."""
