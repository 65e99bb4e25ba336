/// Which rows and columns belong to what.
struct Layout {
  struct Place {
    var rows: Range<Int>
    var columns: Range<Int>
  }

  /// The bars; the line below them has their times. Empty: there is no room.
  let histogram: Range<Int>
  let axis: Int?
  let filter: Int
  let head: Int
  let list: Range<Int>
  let listColumns: Int
  let pane: Place?
  let keys: Int

  init(_ viewer: Viewer) {
    let (width, height) = (viewer.size.width, viewer.size.height)
    let hasPane = viewer.pane != nil
    // What is read needs the room more than the bars do.
    let bars = height >= 40 ? 6 : height >= (hasPane ? 32 : 20) ? 3 : height >= 14 && !hasPane ? 1 : 0
    histogram = 1..<1 + bars
    axis = bars > 0 ? histogram.upperBound : nil
    filter = (axis ?? 0) + 1
    head = filter + 1
    keys = max(head + 1, height - 1)
    let body = head + 1..<max(head + 1, keys)
    guard hasPane else {
      (list, listColumns, pane) = (body, width, nil)
      return
    }
    if width >= 150 {
      // Beside the list, for all of its height.
      let columns = width * 9 / 20
      list = body
      listColumns = width - columns - 1
      pane = Place(rows: head..<body.upperBound, columns: listColumns + 1..<width)
    } else {
      // A short list leaves its room to what is read.
      let listed = max(3, min(body.count / 3, viewer.kept.matching.count))
      let rows = min(body.count, max(0, body.count - listed, min(9, body.count - 2)))
      list = body.lowerBound..<body.upperBound - rows
      listColumns = width
      pane = Place(rows: list.upperBound..<body.upperBound, columns: 0..<width)
    }
  }
}
