"""Packet captures and flow logs: reads packets, finds whose they are as of their time, and writes that down."""
