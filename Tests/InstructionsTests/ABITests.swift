import Instructions
import KernelEntity
import Testing

@Suite struct ABITests {
  @Test func `opcodes have the numbers of the ABI header`() {
    #expect(Opcode.allCases.count == Int(POSTERN_OP_COUNT.rawValue))
    #expect(UInt32(Opcode.wait.rawValue) == POSTERN_OP_WAIT.rawValue)
    #expect(UInt32(Opcode.accept.rawValue) == POSTERN_OP_ACCEPT.rawValue)
  }

  @Test func `reasons have the numbers of the ABI header`() {
    #expect(Reason.allCases.count + 1 == Int(POSTERN_REASON_COUNT.rawValue))
    #expect(UInt32(Reason.refused.rawValue) == POSTERN_REASON_REFUSED.rawValue)
    #expect(UInt32(Reason.notAssociated.rawValue) == POSTERN_REASON_NOT_ASSOCIATED.rawValue)
  }
}
