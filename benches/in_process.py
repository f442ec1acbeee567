"""What the benchmarks of relays compare with."""

import subprocess
import time


def in_process(program, path, count):
    """Articles per second without a broker, on all cores."""
    begun = time.monotonic()
    subprocess.run([program, "classify", "--json", path], stdout=subprocess.DEVNULL, check=True)
    return count / (time.monotonic() - begun)
