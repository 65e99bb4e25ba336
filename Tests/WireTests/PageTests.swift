import Testing

@testable import Wire

@Suite struct Pages {
  @Test func `a page takes rows until the message is 64 KiB`() throws {
    let row = StatusRow(key: "k", value: String(repeating: "v", count: 995))
    var page = Page<StatusRow>(next: 9)
    while try page.append(row) {}
    #expect(page.rows.count == (Bounds.body - 12) / 1000)
    let bytes = try Reply.status(page).encode(id: 1)
    #expect(bytes.count <= Bounds.controlMessage)
    #expect(try Reply.decode(bytes.span).reply == .status(page))
  }

  @Test func `a page that is full to the last byte is a good message`() throws {
    var page = Page<AuditRow>()
    for _ in 0..<3 { #expect(try page.append(AuditRow(bytes: [UInt8](repeating: 1, count: Bounds.record)))) }
    let rest = Bounds.body - 12 - 3 * (Bounds.record + 2) - 2
    #expect(try !page.append(AuditRow(bytes: [UInt8](repeating: 1, count: rest + 1))))
    #expect(try page.append(AuditRow(bytes: [UInt8](repeating: 1, count: rest))))
    let bytes = try Reply.records(page).encode(id: 1)
    #expect(bytes.count == Bounds.controlMessage)
    #expect(try Reply.decode(bytes.span).reply == .records(page))
  }

  @Test func `a row out of bounds is an error and leaves the page as it was`() throws {
    var page = Page<AuditRow>()
    #expect(try page.append(AuditRow(bytes: [1])))
    let before = page
    #expect(throws: WireError.oversized) {
      try page.append(AuditRow(bytes: [UInt8](repeating: 0, count: Bounds.record + 1)))
    }
    #expect(page == before)
  }
}
