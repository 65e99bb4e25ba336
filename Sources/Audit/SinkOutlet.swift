import Authority
import Linux

/// The end of a feed: what is open towards its sink.
struct SinkOutlet: ~Copyable {
  private let target: SinkTarget
  private let source: JournalID
  private let endpoints: SinkEndpoints
  private var socket: DatagramSender?

  /// Records that are written to a file at once.
  private static let run = 512

  init(_ target: SinkTarget, source: JournalID, endpoints: SinkEndpoints) {
    self.target = target
    self.source = source
    self.endpoints = endpoints
  }

  /// Forgets what is open; the next delivery opens it anew.
  mutating func close() { socket = nil }

  /// Delivers records in order, up to a number.
  ///
  /// - Parameter progress: told the last number delivered, how many were lost since, and how many missed in all; false:
  ///   stop here.
  mutating func deliver(
    _ position: inout JournalPosition, upTo durable: UInt64, _ progress: (UInt64, UInt64, UInt64) -> Bool
  ) throws(SystemError) {
    switch target {
    case .checkpoints:
      position.delivered = max(position.delivered, durable)
      _ = progress(position.delivered, 0, 0)
    case .records(.file(let path)):
      while try append(&position, upTo: durable, to: path) {
        if !progress(position.delivered, 0, position.missed) { return }
      }
    case .records(.journald), .records(.syslog):
      while let record = try position.next(upTo: durable) {
        let isSent = try send(record)
        position.pass(record)
        if !progress(position.delivered, isSent ? 0 : 1, position.missed) { return }
      }
    }
  }

  mutating func deliver(_ checkpoint: Checkpoint) throws(SystemError) {
    switch target {
    case .checkpoints(let directory):
      try AppendFile("\(directory)/postern-\(source.text).checkpoints").append(Array((checkpoint.text + "\n").utf8))
    case .records(.file(let path)):
      var writer = JSONWriter()
      writer.beginObject()
      writer.field("kind", "checkpoint")
      writer.field("checkpoint", checkpoint.text)
      writer.endObject()
      try AppendFile(path).append(writer.bytes + [UInt8(ascii: "\n")])
    case .records(.journald):
      var message = JournaldMessage(checkpoint.text, severity: 6)
      message.field("POSTERN_SOURCE", source.text)
      message.field("POSTERN_KIND", "checkpoint")
      try send(message.bytes, to: endpoints.journald)
    case .records(.syslog):
      let message = AuditRecord.syslogMessage(
        checkpoint.text, severity: 6, wall: checkpoint.time, process: Confinement.processID)
      try send(message, to: endpoints.syslog)
    }
  }

  /// Appends a run of records; false: there is none. The file is opened for each, so that it may be moved away.
  private func append(
    _ position: inout JournalPosition, upTo durable: UInt64, to path: String
  ) throws(SystemError) -> Bool {
    var lines: [UInt8] = []
    var count = 0
    let start = (position.delivered, position.missed)
    do throws(SystemError) {
      while count < SinkOutlet.run, let record = try position.next(upTo: durable) {
        lines.append(contentsOf: record.json.utf8)
        lines.append(UInt8(ascii: "\n"))
        position.pass(record)
        count += 1
      }
    } catch {
      // What was read before has been passed, and goes out; the next run meets the error at its beginning.
      if count == 0 { throw error }
    }
    guard count > 0 else { return false }
    do { try AppendFile(path).append(lines) } catch {
      // Read again the next time; where a part was written, those lines stand there twice.
      position.goBack(to: start)
      throw error
    }
    return true
  }

  /// false: it cannot be sent in any form.
  private mutating func send(_ record: AuditRecord) throws(SystemError) -> Bool {
    guard target == .records(.journald) else {
      try send(record.syslogMessage(source: source, process: Confinement.processID), to: endpoints.syslog)
      return true
    }
    do {
      try send(record.journaldMessage(source: source), to: endpoints.journald)
      return true
    } catch {
      guard error.errno == ErrorCode.messageTooLong else { throw error }
    }
    do {
      try send(record.journaldMessage(source: source, isShort: true), to: endpoints.journald)
      return true
    } catch {
      guard error.errno == ErrorCode.messageTooLong else { throw error }
      return false
    }
  }

  private mutating func send(_ bytes: [UInt8], to path: String) throws(SystemError) {
    if socket == nil { socket = try DatagramSender(to: path) }
    try socket?.send(bytes)
  }
}
