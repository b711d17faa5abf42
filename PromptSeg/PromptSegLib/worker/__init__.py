"""A resident process that computes, and how a face talks to it. The face's side needs numpy only."""
