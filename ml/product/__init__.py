"""Products, and the rules that an application for a product must satisfy."""
