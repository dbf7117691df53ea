<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use InvalidArgumentException;
use stdClass;

/**
 * The envelope's members and their order, as voxgate_responder.envelope writes them.
 *
 * Problems follow RFC 9457; the envelope's own members beside them are its extension members (section 3.2).
 */
final class Envelope
{
    public const PROBLEM_TYPE = 'urn:voxgate:error:';

    /** Members that legacy fields may not replace. */
    public const RESERVED = ['success', 'traceId', 'data', 'error'];

    /** Members of a problem that legacy fields may not replace either. */
    public const RESERVED_IN_PROBLEMS = [...self::RESERVED, 'type', 'title', 'status', 'detail', 'instance'];

    /** Characters of the request's path that an error repeats. */
    private const MAX_INSTANCE = 1024;

    /**
     * @param array<array-key, mixed>|object $legacy
     * @throws InvalidArgumentException when a legacy field would replace a member of the envelope
     * @throws EncodingError
     */
    public static function success(mixed $data, array|object $legacy, string $traceId): string
    {
        $members = ['success' => true, 'traceId' => $traceId, 'data' => $data];
        return Json::encode(self::with($members, $legacy, self::RESERVED));
    }

    /**
     * @param array<array-key, mixed>|object|null $details
     * @param array<array-key, mixed>|object $legacy
     * @throws InvalidArgumentException for an unknown code, and for a legacy field that would replace a member
     * @throws EncodingError
     */
    public static function problem(
        string $code,
        ?string $message,
        ?int $status,
        array|object|null $details,
        array|object $legacy,
        string $traceId,
        ?string $instance,
    ): string {
        $kind = self::kind($code);
        $message = $message === null || $message === '' ? $kind->title : $message;
        $error = ['code' => $code, 'message' => $message];
        if ($details !== null) {
            $error['details'] = is_array($details) ? (object) $details : $details;
        }
        $members = [
            'success' => false,
            'traceId' => $traceId,
            'error' => $error,
            'type' => self::PROBLEM_TYPE . $code,
            'title' => $kind->title,
            'status' => $status ?? $kind->status,
            'detail' => $message,
            'instance' => $instance ?? "urn:voxgate:trace:$traceId",
        ];
        return Json::encode(self::with($members, $legacy, self::RESERVED_IN_PROBLEMS));
    }

    /**
     * The row of the error table.
     *
     * @return stdClass with `status` and `title`
     * @throws InvalidArgumentException
     */
    public static function kind(string $code): stdClass
    {
        $kind = SharedData::load('errors')->{$code === '' ? '-' : $code} ?? null;
        if (!$kind instanceof stdClass) {
            throw new InvalidArgumentException("there is no error code $code in data/errors.json");
        }
        return $kind;
    }

    /** A request's decoded path as a URI reference: no query, nothing a terminal or a page would act on. */
    public static function instanceOf(string $path): string
    {
        // Bytes that are no text become U+FFFD, as in Python.
        $text = htmlspecialchars_decode(htmlspecialchars($path, ENT_NOQUOTES | ENT_SUBSTITUTE, 'UTF-8'), ENT_NOQUOTES);
        preg_match('/^.{0,' . self::MAX_INSTANCE . '}/us', $text, $cut);
        $quote = static fn (array $found): string => rawurlencode($found[0]);
        $reference = (string) preg_replace_callback("~[^A-Za-z0-9_.\\~/:@!$&'()*+,;=-]~", $quote, $cut[0] ?? '');
        if (str_starts_with($reference, '//')) {
            // It would be read as another host's address (RFC 3986 section 4.2).
            return "/.$reference";
        }
        return str_starts_with($reference, '/') || $reference === '*' ? $reference : "/$reference";
    }

    /**
     * @param array<string, mixed> $members
     * @param array<array-key, mixed>|object $legacy
     * @param list<string> $reserved
     */
    private static function with(array $members, array|object $legacy, array $reserved): stdClass
    {
        $fields = (array) $legacy;
        $clashes = array_intersect($reserved, array_map(strval(...), array_keys($fields)));
        if ($clashes !== []) {
            throw new InvalidArgumentException('legacy fields may not be named ' . implode(', ', $clashes));
        }
        // An object, so that fields named "0", "1" do not turn the whole into a list.
        return (object) ($members + $fields);
    }
}
