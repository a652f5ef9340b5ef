"""Why a decision fell as it did, and what would change it."""
