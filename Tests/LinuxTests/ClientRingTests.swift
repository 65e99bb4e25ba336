import Glibc
import Instructions
import Testing

@testable import Linux

/// The application's side of the path ring.
@Suite struct ClientRingTests {
  @Test func `a new ring takes nothing before it is enabled`() throws {
    let ring = try ClientRing(entries: 4)
    #expect(try ring.push(ClientRing.Request(.nop, userData: 1)))
    #expect(throws: SystemError(errno: EBADFD, operation: "io_uring_enter")) { try ring.submit() }
    #expect(ring.take() == nil)
  }

  @Test func `what does not fit is not pushed`() throws {
    let ring = try ClientRing(entries: 2)
    for _ in 0..<2 { #expect(try ring.push(ClientRing.Request(.nop, userData: 1))) }
    #expect(try !ring.push(ClientRing.Request(.nop, userData: 1)))
  }

  @Test func `this kernel knows the requests that the path cannot do without`() throws {
    let known = try ClientRing(entries: 4).supported()
    #expect(
      known.isSuperset(of: RingOpcodes(for: OperationSet([.read, .write, .flush, .accept, .receive, .shutdown]))))
  }

  @Test func `its descriptor is close-on-exec`() throws {
    let ring = try ClientRing(entries: 4)
    #expect(fcntl(ring.number, F_GETFD) & FD_CLOEXEC != 0)
  }

  @Test func `a parcel keeps its bytes, and cuts what is asked beyond them`() throws {
    let parcel = try RingParcel([1, 2, 3], destination: nil)
    #expect(parcel.content(2) == [1, 2])
    #expect(parcel.content(9) == [1, 2, 3])
    #expect(parcel.content(-1) == [])
    #expect(parcel.peer(ofAccept: false) == nil)
  }
}
