"""A line's text drawn onto its pictures: laid out, rendered once by libass, and put over each frame."""
