"""What nbval leaves out of its comparison of the chapters' checked cells."""


def pytest_collectstart(collector):
    """Messages of libraries on stderr differ between machines; what a cell prints must not."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
