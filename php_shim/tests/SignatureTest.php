<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use PHPUnit\Framework\TestCase;
use RuntimeException;
use Voxgate\Shim\Refusal;
use Voxgate\Shim\Request;
use Voxgate\Shim\Signature;

final class SignatureTest extends TestCase
{
    // The example of the Standard Webhooks specification's own libraries.
    private const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    private const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
    private const NOW = 1614265330;
    private const BODY = '{"test": 2432232314}';
    private const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

    private static function signed(array $changed = []): Request
    {
        $headers = [
            'webhook-id' => self::ID,
            'webhook-timestamp' => (string) self::NOW,
            'webhook-signature' => self::SIGNATURE,
        ];
        return new Request('POST', '/', [...$headers, ...$changed]);
    }

    public function testTheSpecificationsExampleHolds(): void
    {
        $this->assertSame(self::ID, Signature::verify(self::signed(), self::BODY, self::SECRET, self::NOW));
    }

    public function testOneGoodSignatureOfSeveralAndOneGoodSecretOfTwoAreEnough(): void
    {
        $request = self::signed(['webhook-signature' => 'v1,AAAA v2,x ' . self::SIGNATURE]);
        $secrets = 'whsec_' . base64_encode(str_repeat('k', 24)) . ' ' . self::SECRET;
        $late = self::NOW + Signature::TOLERANCE;
        $this->assertSame(self::ID, Signature::verify($request, self::BODY, $secrets, $late));
    }

    /** @return array<string, array{array<string, string>, string, int}> */
    public function forgeries(): array
    {
        return [
            'another body' => [[], self::BODY . ' ', 0],
            'another id' => [['webhook-id' => 'msg_1'], self::BODY, 0],
            'another time' => [['webhook-timestamp' => (string) (self::NOW + 1)], self::BODY, 0],
            'too old' => [[], self::BODY, 301],
            'too new' => [[], self::BODY, -301],
            'no signature' => [['webhook-signature' => ''], self::BODY, 0],
            'a bare digest' => [['webhook-signature' => substr(self::SIGNATURE, 3)], self::BODY, 0],
            'another version' => [['webhook-signature' => 'v2' . substr(self::SIGNATURE, 2)], self::BODY, 0],
            'a time that is no number' => [['webhook-timestamp' => '0x10'], self::BODY, 0],
            'an id with a full stop' => [['webhook-id' => self::ID . '.1'], self::BODY, 0],
            'too many' => [['webhook-signature' => str_repeat('v1,x ', 17) . self::SIGNATURE], self::BODY, 0],
        ];
    }

    /** @dataProvider forgeries */
    public function testAForgeryIsRefused(array $changed, string $body, int $late): void
    {
        try {
            Signature::verify(self::signed($changed), $body, self::SECRET, self::NOW + $late);
            $this->fail('it was believed');
        } catch (Refusal $refusal) {
            $this->assertSame('credential_invalid', $refusal->errorCode);
        }
    }

    public function testARequestWithoutAnySignatureHasNoCredential(): void
    {
        try {
            Signature::verify(new Request('POST', '/'), self::BODY, self::SECRET, self::NOW);
            $this->fail('it was believed');
        } catch (Refusal $refusal) {
            $this->assertSame('credential_missing', $refusal->errorCode);
        }
    }

    /** @return list<array{string}> */
    public function badSecrets(): array
    {
        return [['secret'], ['whsec_'], ['whsec_short'], ['whsec_' . base64_encode(str_repeat('k', 65))]];
    }

    /** @dataProvider badSecrets */
    public function testASecretThatIsNoneIsAFaultOfTheDeploymentAndIsNotRepeated(string $secret): void
    {
        $this->expectException(RuntimeException::class);
        $this->expectExceptionMessageMatches('/^VOXGATE_REMOTE_PHP_SECRET is not/');
        Signature::verify(self::signed(), self::BODY, $secret, self::NOW);
    }
}
