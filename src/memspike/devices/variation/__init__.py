"""What real devices add to their law: wrappers that go around any pulse device, and chips."""
