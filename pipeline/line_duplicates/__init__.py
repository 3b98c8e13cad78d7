"""The steps by which lines that documents share are found: hashes are compared, no text moves.

`keys` notes the host of every document and reads its lines' hashes; `repeated` brings equal lines
together, block by block; `choosing` decides which document keeps one; `summary` says for people
what was found. The stage itself, `pipeline.stages.deduplicate_lines`, runs them in this order.
"""
