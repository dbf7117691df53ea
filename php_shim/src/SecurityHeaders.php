<?php

declare(strict_types=1);

namespace Voxgate\Shim;

/** The security headers of every answer, from the one list that Python reads too: `data/security_headers.json`. */
final class SecurityHeaders
{
    /**
     * @param bool $private whether no cache may keep the answer: errors, and paths below `privatePaths`
     * @param bool $https whether the answer goes out over TLS (RFC 6797 section 7.2)
     * @return array<string, string> by names in lower case
     */
    public static function of(bool $private, bool $https): array
    {
        $groups = SharedData::load('security_headers');
        return [
            ...(array) $groups->every,
            ...(array) $groups->data,
            ...($private ? (array) $groups->private : []),
            ...($https ? (array) $groups->https : []),
        ];
    }

    /** Whether answers at this path may hold a caller's data. */
    public static function isPrivate(string $path): bool
    {
        foreach (SharedData::load('security_headers')->privatePaths as $prefix) {
            if (str_starts_with($path, $prefix)) {
                return true;
            }
        }
        return false;
    }
}
