"""A resident process that computes, and how a front end talks to it. The front end's side needs numpy only."""
