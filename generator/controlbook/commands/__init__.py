# SPDX-License-Identifier: Apache-2.0
"""One module per verb of the command line: options in, outcome out."""
