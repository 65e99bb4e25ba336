extension Results {
  /// The same as JSON: where the tables cut, this has all rows.
  var json: String {
    let lines = rows.map { row in
      var members = [
        "\"operation\":\(quoted(row.operation))", "\"size\":\(row.size)", "\"at_once\":\(row.depth)",
        "\"way\":\(quoted(row.way))", "\"placement\":\(quoted(row.placement))", "\"samples\":\(row.samples)",
        "\"median_ns\":\(fixed(row.median, 1))", "\"p99_ns\":\(fixed(row.p99, 1))",
      ]
      if let baseline = baseline(of: row) {
        members.append("\"median_against_plain\":\(fixed(row.median / baseline.median, 3))")
      }
      return "{" + members.joined(separator: ",") + "}"
    }
    let facts = context.map { "\(quoted($0.key)):\(quoted($0.value))" }
    let missing = gaps.map { "{\"way\":\(quoted($0.way)),\"why\":\(quoted($0.why))}" }
    return "{\"context\":{\(facts.joined(separator: ",\n"))},\n"
      + "\"not_measured\":[\(missing.joined(separator: ",\n"))],\n"
      + "\"rows\":[\n\(lines.joined(separator: ",\n"))\n]}\n"
  }

  private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case _ where scalar.value < 0x20: result += "?"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
