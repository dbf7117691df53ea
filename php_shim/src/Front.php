<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use stdClass;
use Throwable;

/**
 * Serves one of the seven endpoints: method, caller, body and input are judged in this order, then it answers.
 */
final class Front
{
    private const EVENT_TYPE = 'application/cloudevents+json';

    /** Serve the request that PHP is serving. */
    public static function serve(string $name, Endpoint $endpoint): void
    {
        $api = ApiResponder::start(strict: true, private: true);
        self::run($api, $name, $endpoint, Environment::current(), time());
    }

    /** @param int $now epoch seconds */
    public static function run(
        ApiResponder $api,
        string $name,
        Endpoint $endpoint,
        Environment $environment,
        int $now,
    ): void {
        try {
            $row = SharedData::load('table')->endpoints->{$name};
            $path = $api->request->path();
            // One address for one thing: servers also find a script by "//", or with more behind its name.
            if ($api->request->pathInfo !== '' || str_contains($path, '//') || !str_ends_with($path, $row->path)) {
                throw new Refusal('not_found');
            }
            if ($api->admit(array_keys((array) $row->methods))) {
                $result = $endpoint->answer(self::call($api->request, $name, $row, $environment, $now));
                $api->jsonSuccess($result->data, $result->legacy, $result->status);
            }
        } catch (Throwable $error) {
            $api->fail($error);
        }
    }

    private static function call(
        Request $request,
        string $name,
        stdClass $row,
        Environment $environment,
        int $now,
    ): Call {
        $method = $request->method === 'HEAD' ? 'GET' : $request->method;
        $rules = $row->methods->{$method};
        $isEvent = isset($rules->event) && $request->contentType() === self::EVENT_TYPE;
        $signed = $isEvent && $environment->secret !== '';
        if ($name !== 'health' && !$signed) {
            self::checkKey($request, $environment->key);
        }
        $query = Input::query($request->query(), $rules->query ?? null);
        if (!isset($rules->body)) {
            return new Call($method, $query, null, false, $environment);
        }
        $id = $signed ? Signature::verify($request, $request->content(), $environment->secret, $now) : null;
        $types = ['application/json', ...(isset($rules->event) ? [self::EVENT_TYPE] : [])];
        $body = $request->json($types);
        Input::judge($body, $isEvent ? $rules->event : $rules->body);
        if ($id !== null && $id !== $body->id) {
            throw new Refusal('bad_request', 'webhook-id is not the id of the event in the body');
        }
        return new Call($method, $query, $body, $isEvent, $environment);
    }

    private static function checkKey(Request $request, string $key): void
    {
        $given = $request->header('authorization');
        if ($key === '') {
            return;
        }
        if ($given === '') {
            throw new Refusal('credential_missing');
        }
        // Hashed, so that the comparison takes as long for a key of another length.
        if (!hash_equals(hash('sha256', "Bearer $key"), hash('sha256', $given))) {
            throw new Refusal('credential_invalid');
        }
    }
}
