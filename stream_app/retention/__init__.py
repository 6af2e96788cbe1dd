"""Keep the disk bounded: find and remove what is kept no longer (docs/how-to/disk.md)."""
