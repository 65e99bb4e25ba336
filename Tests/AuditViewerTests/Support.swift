import Audit
import AuditAnalysis
import AuditViewer
import Authority
import Foundation
import Instructions

/// A record of second `sequence`: odd ones refuse for `limit`, even ones for `operation`.
func refusal(_ sequence: UInt64, object: ByteString = "disk", application: ByteString = "shop") -> AuditRecord {
  var record = AuditRecord(
    refusal: Refusal(sequence.isMultiple(of: 2) ? .operation : .limit),
    time: AuditTime(wall: 1_700_000_000_000_000_000 + sequence * 1_000_000_000, boottime: sequence),
    boot: BootID(high: 1, low: 2))
  record.sequence = sequence
  record.object = object
  record.application = application
  record.executablePath = "/usr/bin/cat"
  record.pid = 77
  record.uid = 1000
  record.operation = .read
  record.path = .mediated
  return record
}

/// A viewer of so many refusals.
func viewer(_ count: UInt64, width: Int = 80, height: Int = 24, capacity: Int = 1000) -> Viewer {
  var viewer = Viewer(size: ScreenSize(width: width, height: height), capacity: capacity) { _ in nil }
  if count > 0 { _ = viewer.handle(.records((1...count).map { refusal($0) }, unreadable: 0)) }
  return viewer
}

extension Viewer {
  @discardableResult
  mutating func press(_ keys: Key...) -> [Effect] { keys.flatMap { handle(.key($0)) } }

  @discardableResult
  mutating func type(_ text: String) -> [Effect] { text.unicodeScalars.flatMap { handle(.key(.text($0))) } }

  var lines: [String] { screen.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }

  /// The sequence numbers in the list's rows.
  var listed: [UInt64] {
    lines.filter { $0.contains(" refused ") }.compactMap { $0.split(separator: " ").first.flatMap { UInt64($0) } }
  }

  /// The row that is drawn reversed, without the bars of title and pane.
  var selectedLine: String {
    for row in screen.rows.dropFirst() where row.first?.style == CellStyle(.plain, isReversed: true) {
      return String(String.UnicodeScalarView(row.map(\.scalar)))
    }
    return ""
  }
}

/// Does what a terminal does with the bytes that a screen is drawn with, and knows no others.
struct ModelTerminal {
  var cells: [[Unicode.Scalar]]
  var row = 0
  var column = 0
  var isReversed = false
  var colours: Set<String> = []
  /// Bytes that are no drawing: each is a fault.
  var strangers: [String] = []

  init(_ size: ScreenSize) {
    cells = Array(repeating: Array(repeating: " ", count: size.width), count: size.height)
  }

  mutating func feed(_ bytes: [UInt8]) {
    var rest = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)[...]
    while let scalar = rest.popFirst() {
      guard scalar == "\u{1B}" else {
        if scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) { strangers.append("\(scalar.value)") }
        if cells.indices.contains(row), cells[row].indices.contains(column) { cells[row][column] = scalar }
        column += 1
        continue
      }
      var parameters = ""
      var final: Unicode.Scalar = "?"
      if rest.popFirst() != "[" { strangers.append("no CSI") }
      while let next = rest.popFirst() {
        if (0x40...0x7E).contains(next.value) {
          final = next
          break
        }
        parameters.unicodeScalars.append(next)
      }
      obey(final, parameters)
    }
  }

  private mutating func obey(_ final: Unicode.Scalar, _ parameters: String) {
    let numbers = parameters.split(separator: ";").map { Int($0) ?? -1 }
    switch (final, parameters) {
    case ("H", _) where numbers.count == 2:
      row = numbers[0] - 1
      column = numbers[1] - 1
    case ("K", ""), ("K", "2"):
      if parameters == "2" { cells[row] = cells[row].map { _ in " " } }
      if cells.indices.contains(row) {
        for index in cells[row].indices where index >= column { cells[row][index] = " " }
      }
    case ("J", "2"):
      for index in cells.indices { cells[index] = cells[index].map { _ in " " } }
    case ("m", _):
      for number in parameters.split(separator: ";") where Int(number).map({ $0 >= 30 }) ?? true {
        colours.insert(String(number))
      }
    case ("h", "?25"), ("l", "?25"): break
    default: strangers.append("\(parameters)\(final)")
    }
  }

  var text: String {
    cells.map { line in
      var line = line[...]
      while line.last == " " { line.removeLast() }
      return String(String.UnicodeScalarView(line))
    }.joined(separator: "\n")
  }
}
