"""`python -m bench.proxy`."""

import sys

from bench.proxy.run import main

sys.exit(main())
