<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use RuntimeException;

/**
 * Signatures of the gateway's deliveries.
 *
 * Source: the Standard Webhooks specification, its symmetric scheme `v1`: an HMAC-SHA256 over
 * `<webhook-id>.<webhook-timestamp>.<body>`.
 */
final class Signature
{
    /** Seconds that a timestamp may lie before or after our clock; what is older may be a replay. */
    public const TOLERANCE = 300;

    /** Signatures that one request may carry. */
    private const MAX_SIGNATURES = 16;

    private const PREFIX = 'whsec_';
    private const MIN_KEY = 24;
    private const MAX_KEY = 64;

    /**
     * The `webhook-id` of a request that was signed with the secret.
     *
     * @param string $secret `whsec_…`; several, while one is replaced, stand apart by blanks
     * @throws Refusal credential_missing, credential_invalid
     */
    public static function verify(Request $request, string $body, string $secret, int $now): string
    {
        $id = $request->header('webhook-id');
        $timestamp = $request->header('webhook-timestamp');
        $given = array_filter(explode(' ', $request->header('webhook-signature')));
        if ($id === '' && $timestamp === '' && $given === []) {
            throw new Refusal('credential_missing', 'The event is not signed');
        }
        $readable = preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $id) && preg_match('/^[0-9]{1,12}$/D', $timestamp);
        if (!$readable || count($given) > self::MAX_SIGNATURES || abs((int) $timestamp - $now) > self::TOLERANCE) {
            throw self::invalid();
        }
        $matches = 0;
        foreach (preg_split('/\s+/', trim($secret)) ?: [] as $one) {
            $digest = hash_hmac('sha256', "$id.$timestamp.$body", self::key($one), true);
            $expected = 'v1,' . base64_encode($digest);
            foreach ($given as $signature) {
                $matches += (int) hash_equals($expected, $signature);
            }
        }
        return $matches > 0 ? $id : throw self::invalid();
    }

    private static function key(string $secret): string
    {
        $digits = str_starts_with($secret, self::PREFIX) ? substr($secret, strlen(self::PREFIX)) : '';
        $key = (string) base64_decode($digits, true);
        if (strlen($key) < self::MIN_KEY || strlen($key) > self::MAX_KEY) {
            throw new RuntimeException('VOXGATE_REMOTE_PHP_SECRET is not whsec_ and base64 of 24 to 64 bytes');
        }
        return $key;
    }

    private static function invalid(): Refusal
    {
        return new Refusal('credential_invalid', 'The signature does not hold');
    }
}
