"""What nbval leaves out of its comparison of the chapters' checked cells."""


def pytest_collectstart(collector):
    """Libraries chat on stderr, on each machine in another way."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
