"""Where models come from: hubs, URLs, this disk."""
