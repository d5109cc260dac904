"""Pieces' Model and Models API, served from the local models of this engine, with the neighbours its clients need."""
