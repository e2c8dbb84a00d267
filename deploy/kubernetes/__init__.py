"""The Helm chart's values, the files generated from the chart, and the edge in a pod."""
