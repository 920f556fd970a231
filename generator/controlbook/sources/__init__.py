# SPDX-License-Identifier: Apache-2.0
"""The streams of evidence: one module each."""
