"""What is made of the ledger at a desk: captures annotated, pictures, reports, exports, EC2's wire format."""
