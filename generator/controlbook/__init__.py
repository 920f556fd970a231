# SPDX-License-Identifier: Apache-2.0
"""controlbook: compliance as code, from AWS Config's verdicts to a signed report."""

__version__ = "0.1.0"
