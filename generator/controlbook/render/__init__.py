# SPDX-License-Identifier: Apache-2.0
"""From findings to pages, PDF, data files and bundle."""
