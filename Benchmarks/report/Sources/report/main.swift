// Makes tables, JSON or a plot of what Benchmarks/peers printed.
// Usage: report text|markdown|json|svg < SAMPLES

import Glibc

var results = Results()
while let line = readLine() {
  guard results.read(line) else {
    print("report: what is this? \(line.prefix(100))")
    exit(1)
  }
}
guard !results.rows.isEmpty else {
  print("report: no samples")
  exit(1)
}
switch CommandLine.arguments.dropFirst().first {
case "text":
  for (key, value) in results.context { print("\(key): \(value)") }
  print("")
  for grid in results.grids { print(grid.text) }
  for (way, why) in results.gaps { print("not measured: \(way): \(why)") }
case "markdown":
  for (key, value) in results.context { print("- \(key): \(value)") }
  print("")
  for grid in results.grids { print(grid.markdown) }
  for (way, why) in results.gaps { print("- not measured: \(way): \(why)") }
case "json": print(results.json, terminator: "")
case "svg": print(results.svg, terminator: "")
default:
  print("usage: report text|markdown|json|svg < SAMPLES")
  exit(64)
}
