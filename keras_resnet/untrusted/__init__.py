"""Files from strangers: what is checked of them before anything is done with them."""
