"""A neuron of one's own from a netlist: elements, a reader of SPICE decks, and the step that they are compiled to."""
